"""A configured installation over look-alike apps on loopback, and the command line as a person calls it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from twoway.cli.main import app
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.mailchimp import MailchimpApp

PAIR = "crm-newsletter"

CONFIG = """\
accounts:
  crm:
    app: hubspot
    settings: {{ base_url: "{hubspot}", rate: 1000 }}
    secrets: {{ token_file: crm.token }}
  newsletter:
    app: mailchimp
    settings: {{ base_url: "{mailchimp}/3.0" }}
    secrets: {{ api_key_file: newsletter.key }}
"""

MAPPING = """\
pair: crm-newsletter
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: review
match: [email]
create: { on_right: true, on_left: true }
delete: { on_right: archive, on_left: ignore }
conflict: review
on_create:
  right: { status: subscribed }
fields:
  email: { left: email, right: email_address, type: email }
  first_name: { left: firstname, right: merge_fields.FNAME, trim: true }
  last_name: { left: lastname, right: merge_fields.LNAME }
guard: { floor: 5, creates: 20% }
schedule: { settle: 0s }
"""


@dataclass(frozen=True)
class Result:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Installation:
    """A folder with config.yaml, and the two apps that it talks to."""

    folder: Path
    crm: HubSpotApp
    newsletter: MailchimpApp

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, given: str | None = None) -> Result:
        """`twoway --config … ARGUMENTS`."""
        whole = ["--config", str(self.folder / "config.yaml"), *arguments]
        result = CliRunner().invoke(app, whole, env=env, input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    def well(self, *arguments: str) -> Result:
        """The same, and it must end well."""
        result = self.run(*arguments)
        assert result.code == 0, f"{arguments}: {result}"
        return result

    def contact(self, **properties: str) -> str:
        """A person enters a contact into the CRM; its id."""
        return str(self.crm.human(kind="create", fields=properties)["id"])

    def member(self, email: str, **merge_fields: str) -> str:
        """A person enters a member into the audience; its id."""
        made = self.newsletter.human(kind="create", fields={"email_address": email, "merge_fields": merge_fields})
        return str(made["contact_id"])

    def edit_contact(self, contact: str, **properties: str) -> None:
        self.crm.human(kind="update", id=contact, fields=properties)

    def edit_member(self, member: str, **merge_fields: str) -> None:
        self.newsletter.human(kind="update", id=member, fields={"merge_fields": merge_fields})

    def started(self) -> None:
        """The pair is planned, approved and has run once."""
        for arguments in (("plan", PAIR), ("approve", PAIR), ("sync", PAIR)):
            self.well(*arguments)
