from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0007_confirmation_delay"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="unknown_words",
            field=models.JSONField(default=dict),
        ),
    ]
