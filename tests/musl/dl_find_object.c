/* glibc's _dl_find_object, which Debian's libgcc_eh asks for unwind tables, on musl's dl_iterate_phdr. */
#define _GNU_SOURCE
#include <link.h>

struct found { unsigned long long flags; void *start, *end; struct link_map *map; void *eh_frame; };
struct search { ElfW(Addr) pc; struct found *found; };

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *search = data;
	ElfW(Addr) table = 0, start = 0, end = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		ElfW(Addr) address = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_GNU_EH_FRAME)
			table = address;
		if (segment->p_type == PT_LOAD && address <= search->pc && search->pc < address + segment->p_memsz)
			start = address, end = address + segment->p_memsz;
	}
	if (!end || !table)
		return 0;
	*search->found = (struct found){ 0, (void *)start, (void *)end, 0, (void *)table };
	return 1;
}

int _dl_find_object(void *pc, struct found *found)
{
	struct search search = { (ElfW(Addr))pc, found };
	return dl_iterate_phdr(look, &search) ? 0 : -1;
}
