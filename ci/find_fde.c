/* libgcc's question for a function's unwind information, answered by the table that the linker sorts
 * (PT_GNU_EH_FRAME), for a libgcc that was made without dl_iterate_phdr(3). */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <string.h>

/* libgcc's unwind-dw2-fde.h */
struct dwarf_eh_bases { void *tbase, *dbase, *func; };

struct search { uintptr_t pc; struct dwarf_eh_bases *bases; const void *fde; };

/* .eh_frame_hdr as every linker makes it: pointers relative to their own place or, in the table, to the header's */
struct header {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
	struct { int32_t function, fde; } table[];
};

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	static const uint8_t encodings[] = { 1, 0x1b, 0x03, 0x3b };
	struct search *search = data;
	const struct header *header = NULL;
	int here = 0;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && search->pc - start < segment->p_memsz)
			here = 1;
		if (segment->p_type == PT_GNU_EH_FRAME)
			header = (const struct header *)start;
	}
	if (!here || !header || memcmp(header, encodings, sizeof encodings) || !header->count)
		return here;

	/* the last function that begins at or before pc */
	uint32_t low = 0, high = header->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if ((uintptr_t)header + header->table[middle].function <= search->pc)
			low = middle;
		else
			high = middle;
	}
	uintptr_t function = (uintptr_t)header + header->table[low].function;
	const uint32_t *fde = (const uint32_t *)((uintptr_t)header + header->table[low].fde);
	/* length, CIE, first address, size: each of 4 bytes where a pointer has no more */
	_Static_assert(sizeof(void *) == 4, "an FDE's fields may have 8 bytes");
	if (search->pc - function < fde[3]) {
		search->bases->tbase = search->bases->dbase = NULL;
		search->bases->func = (void *)function;
		search->fde = fde;
	}
	return 1;
}

const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);

const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases)
{
	struct search search = { (uintptr_t)pc, bases, NULL };

	dl_iterate_phdr(look, &search);
	return search.fde;
}
