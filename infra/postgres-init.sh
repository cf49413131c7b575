#!/bin/sh
# One database for each server. The image of PostgreSQL runs this once, on an empty data folder.
set -eu

for database in mlflow prefect; do
    psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --command "CREATE DATABASE $database"
done
