from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0007_questions'),
    ]

    operations = [
        # What waits while this runs is its owner's to release: the strictest, for the minutes that are left to it.
        migrations.AddField(
            model_name='confirmation',
            name='redeemer',
            field=models.CharField(choices=[('app', 'app'), ('user', 'user'), ('owner', 'owner')], default='owner', max_length=5),
        ),
        migrations.AlterField(
            model_name='confirmation',
            name='action',
            field=models.CharField(choices=[('place', 'Place'), ('batch', 'Place several'), ('modify', 'Change'), ('close', 'Close'), ('reverse', 'Reverse'), ('flatten', 'Close everything'), ('cancel', 'Cancel')], default='place', max_length=10),
        ),
        migrations.AddField(
            model_name='modification',
            name='cancels',
            field=models.BooleanField(default=False),
        ),
    ]
