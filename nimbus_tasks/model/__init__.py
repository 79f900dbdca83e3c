"""The values that everything else speaks of: records, states, proposed changes, ids, errors. Pure."""
