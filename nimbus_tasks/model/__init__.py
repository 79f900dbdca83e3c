"""The values that all rooms share: records, page maps, states, proposed changes, issues, errors. Pure."""
