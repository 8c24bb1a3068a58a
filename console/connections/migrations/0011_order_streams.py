import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0010_equity_marks"),
    ]

    operations = [
        migrations.CreateModel(
            name="OrderStreamStatus",
            fields=[
                ("connection", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="order_stream", serialize=False, to="connections.connection")),
                ("is_up", models.BooleanField(default=False)),
                ("since", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("trouble", models.CharField(blank=True, max_length=300)),
            ],
        ),
    ]
