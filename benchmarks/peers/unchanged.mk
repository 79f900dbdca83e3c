# What make takes to see that nothing changed: is each map younger than its page?  `make -f unchanged.mk`

MAKEFLAGS += --no-builtin-rules
PAGES := $(shell find dist -name '*.html')
MAPS := $(PAGES:%=.nimbus/maps/%.json)

.PHONY: all
all: $(MAPS)

# Named one by one: make would search its implicit rules for each, which takes a hundred times as long.
$(MAPS): .nimbus/maps/%.json: %
	@echo "$< is younger than its map" >&2; false
