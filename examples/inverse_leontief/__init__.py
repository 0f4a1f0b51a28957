"""Technical coefficients from outputs and final demand: by gradient descent, in closed form, and with a posterior."""
