import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("paper", "0009_fills_of_accounts")]
    operations = [
        migrations.AlterField(
            "paperfill",
            "account",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="paper.paperaccount",
                db_index=False,
            ),
        ),
        migrations.AddIndex("paperfill", models.Index(fields=["account", "at"], name="paper_fills_by_time")),
        migrations.AddIndex("paperfill", models.Index(fields=["account", "bar"], name="paper_fills_of_bar")),
        migrations.AddIndex("ledgerentry", models.Index(fields=["account", "kind", "at"], name="paper_ledger_by_kind")),
    ]
