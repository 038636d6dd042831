"""UCI Online Retail (I and II): a retailer's invoices, with the warehouse around them simulated."""
