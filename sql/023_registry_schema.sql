-- A schema registry beside us may keep its tables in our database, in a schema of its own: some have the names of ours.
create schema if not exists registry;
