from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0005_linking"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="unknown_words",
            field=models.JSONField(default=dict),
        ),
    ]
