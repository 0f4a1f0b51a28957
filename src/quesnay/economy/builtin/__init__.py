"""The tables that come with the package: which column is which account, and in which unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Builtin:
    """A packaged table: its files in this folder, its unit, and the columns of its accounts file."""

    flows: str
    accounts: str
    currency: str
    year: int
    columns: Mapping[str, str] = field(default_factory=dict)
    satellites: Mapping[str, tuple[str, str]] = field(default_factory=dict)


BUILTINS: Mapping[str, Builtin] = {
    # US EPA, USEEIO state model GAEEIO v1.0-s-20 (CC0), two regions, aggregated to 29 sectors each.
    "us-2020": Builtin(
        flows="us_2020_Z_musd.csv",
        accounts="us_2020_accounts.csv",
        currency="MUSD",
        year=2020,
        columns={
            "final_demand": "final_demand_musd",
            "imports": "imported_inputs_musd",
            "value_added": "value_added_musd",
            "output": "output_musd",
        },
        satellites={"ghg": ("ghg_kt_co2e", "kt CO2e"), "jobs": ("jobs_thousand", "thousand jobs")},
    ),
}
