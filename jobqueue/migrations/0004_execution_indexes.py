from django.db import migrations, models
import django.db.models.deletion
import jobqueue.models.indexes

# Names that Django gave to the indexes of all rows; on MariaDB they belong to the foreign keys.
_OF_ALL_ROWS = {
    "job": "jobqueue_execution_job_id_fceec3b1",
    "retry_of": "jobqueue_execution_retry_of_id_9ce2aaeb",
}
_JOB = jobqueue.models.indexes.GivenIndex(fields=["job"], name="jobqueue_of_job")
_RETRY_OF = jobqueue.models.indexes.GivenIndex(fields=["retry_of"], name="jobqueue_retries")


def _only_given(apps, schema_editor):
    if schema_editor.connection.vendor == "mysql":
        return
    execution = apps.get_model("jobqueue", "Execution")
    for field, name in _OF_ALL_ROWS.items():
        schema_editor.remove_index(execution, models.Index(fields=[field], name=name))
    for index in (_JOB, _RETRY_OF):
        schema_editor.add_index(execution, index)


def _all_rows(apps, schema_editor):
    if schema_editor.connection.vendor == "mysql":
        return
    execution = apps.get_model("jobqueue", "Execution")
    for index in (_JOB, _RETRY_OF):
        schema_editor.remove_index(execution, index)
    for field, name in _OF_ALL_ROWS.items():
        schema_editor.add_index(execution, models.Index(fields=[field], name=name))


class Migration(migrations.Migration):

    dependencies = [
        ('jobqueue', '0003_cluster_owner'),
    ]

    operations = [
        # As separate steps Django would copy the whole table on SQLite, twice.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunPython(_only_given, _all_rows, hints={"model_name": "execution"}),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name='execution',
                    name='job',
                    field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='executions', to='jobqueue.job', verbose_name='Job'),
                ),
                migrations.AlterField(
                    model_name='execution',
                    name='retry_of',
                    field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='retries', to='jobqueue.execution', verbose_name='retry of'),
                ),
                migrations.AddIndex(model_name='execution', index=_JOB),
                migrations.AddIndex(model_name='execution', index=_RETRY_OF),
            ],
        ),
    ]
