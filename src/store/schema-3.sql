-- The inventory sources of which was told last that they can't be used, with the reasons told, a space between: a restart tells them no second time.
-- What is told of a source stands in `change` like a device's. Its row in `device` has a name that begins with char(2), which
-- no device's can, and nothing in it but that.
CREATE TABLE source (
    name    TEXT PRIMARY KEY,
    failing TEXT NOT NULL
) STRICT, WITHOUT ROWID;
