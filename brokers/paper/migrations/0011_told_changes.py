from django.db import migrations, models
import django.db.models.deletion


class Migration(migrations.Migration):

    dependencies = [
        ('paper', '0010_fills_by_time'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='paperorder',
            name='paper_orders_by_account',
        ),
        migrations.AddIndex(
            model_name='paperorder',
            index=models.Index(fields=['account', 'status', 'tape'], name='paper_orders_by_account'),
        ),
        migrations.CreateModel(
            name='ChangedOrder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_order_id', models.CharField(max_length=64)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='paper.paperaccount')),
            ],
        ),
        migrations.AddField(
            model_name='matchedtape',
            name='next_at',
            field=models.DateTimeField(db_index=True, null=True),
        ),
        migrations.RunSQL("UPDATE paper_matchedtape SET next_at = seen WHERE venue = ''", migrations.RunSQL.noop),
    ]
