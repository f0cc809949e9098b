-- What the inventory's source knows a device by, whatever its name is at present.
ALTER TABLE device ADD COLUMN identity TEXT;

-- The name that the device had when this was told, where it has another one by now: a part of the event's identity.
ALTER TABLE change ADD COLUMN called TEXT;
