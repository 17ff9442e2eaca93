"""What is owed and what is done, on disk. The only importer of SQLAlchemy and Alembic."""
