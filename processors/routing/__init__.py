"""Where the units of an order come from: rules to a problem, the problem's optimum, and the reasons in words."""
