"""Tables on stdout: columns that line up, wide enough in a pipe that no id is broken in two."""

from rich.console import Console
from rich.table import Table

#: Columns of a table that goes to a file or a pipe: fewer would break ids in two, which no `grep` finds again.
PIPE_WIDTH_COLUMNS = 160


def grid(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table with these headings; numbers stand to the right."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_grid(table: Table) -> None:
    """Print it as wide as the terminal, or as a pipe may be."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=PIPE_WIDTH_COLUMNS)
    console.print(table)
