"""UCI Online Retail (I and II): a retailer's invoices, with the warehouse around them simulated."""

from gateway.connectors.connector import Connector

CONNECTOR = Connector(
    "online-retail",
    help="Import a file in the layout of UCI Online Retail (I or II); every row is accounted for.",
    example="order-ledger import online-retail FILE --from 2010-11-01 --to 2010-11-30",
    kinds=(".parquet", ".csv", ".xlsx"),
    fields=("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"),
    bring_in="gateway.connectors.online_retail.importing:bring_in",
    history="gateway.connectors.online_retail.history:history",
)

__all__ = ["CONNECTOR"]
