-- What the inventory's source knows a device by, whatever its name is at present.
ALTER TABLE device ADD COLUMN identity TEXT;

-- The name that the device had when this was told, where it has another one by now: a part of the event's identity.
ALTER TABLE change ADD COLUMN called TEXT;

-- The first letter of each device that waits, at a look for each device, however many wait behind it.
CREATE INDEX letter_held ON letter (sink, device, sequence) WHERE dead_at IS NULL;
