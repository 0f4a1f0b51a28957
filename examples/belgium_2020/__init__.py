"""Belgium, spring 2020: revenue by sector under closures, idle staff and lost demand, beside ten business surveys."""
