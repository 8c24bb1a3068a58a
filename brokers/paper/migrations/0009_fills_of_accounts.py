"""A fill names its account, so that an index has the fills of one by time."""

import django.db.models.deletion
from django.db import migrations, models

_FROM_ORDER = """
    UPDATE paper_paperfill
    SET account_id = (SELECT account_id FROM paper_paperorder WHERE paper_paperorder.id = paper_paperfill.order_id)
"""


class Migration(migrations.Migration):
    dependencies = [("paper", "0008_orders_by_status")]
    operations = [
        migrations.AddField(
            "paperfill",
            "account",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="paper.paperaccount",
                db_index=False,
                null=True,
            ),
        ),
        migrations.RunSQL(_FROM_ORDER, migrations.RunSQL.noop),
    ]
