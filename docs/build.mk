# Manual pages, each into the section that its name ends in, and bash completion under the name of every command.
MAN_PAGES := $(sort $(wildcard docs/man/*.1 docs/man/*.3 docs/man/*.4 docs/man/*.8))
INSTALL += $(foreach p,$(MAN_PAGES),644:$(p):$(MANDIR)/man$(patsubst .%,%,$(suffix $(p)))/$(notdir $(p)))
INSTALL += 644:docs/completion/europa:$(COMPLETIONDIR)/europa
INSTALL_LINKS += $(COMMANDS:%=europa:$(COMPLETIONDIR)/europa-%)
