"""Gives a fresh Superset its user, and the database, charts and dashboard of export/.

    load.py ADDRESS    (HOST:PORT/DATABASE of the PostgreSQL server)

Standard input: two lines, the passwords of Superset's user "admin" and of the
database's role "dashboard".  Run by examples/dashboard/run.
"""

import pathlib
import sys

from superset.app import create_app

EXPORT = pathlib.Path(__file__).resolve().parent / "export"


def main():
    address = sys.argv[1]
    admin_password, role_password = sys.stdin.read().split()
    contents = {str(path.relative_to(EXPORT)): path.read_text() for path in EXPORT.rglob("*.yaml")}
    database = "databases/streamx.yaml"
    contents[database] = contents[database].replace("127.0.0.1:5432/demo", address)

    with create_app().app_context():
        from superset import security_manager
        from superset.commands.dashboard.importers.v1 import ImportDashboardsCommand
        from superset.utils.core import override_user

        user = security_manager.add_user(
            "admin", "Ada", "Admin", "admin@localhost", security_manager.find_role("Admin"), password=admin_password
        )
        with override_user(user):
            ImportDashboardsCommand(contents, passwords={database: role_password}, overwrite=True).run()


main()
