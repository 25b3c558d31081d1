# The library for C, without Rust: `make install`, with the usual variables CC, CFLAGS, LDFLAGS, DESTDIR, prefix,
# libdir and includedir. `make CC=aarch64-linux-gnu-gcc` crosses.
#
# cargo-c would do neither half: its archive holds Rust's objects, its shared library exports no assembly. And
# make's variables are what packagers know.

prefix = /usr/local
libdir = $(prefix)/lib
includedir = $(prefix)/include
build = target/c

# Of all ports the one that this compiler takes: the others stop at port.h's #error. mips has two names in Rust.
port := $(firstword $(foreach p,$(wildcard asm/*.S),$(shell $(CC) $(CFLAGS) -E $p >/dev/null 2>&1 && echo $p)))
# the compiler's own, which knows its architecture
ifeq ($(origin AR),default)
AR := $(shell $(CC) -print-prog-name=ar)
endif

version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# what Semantic Versioning calls compatible: 0.y, and from 1 on x
soname := libclone_trampoline.so.$(shell echo $(version) | sed -E 's/^(0\.[0-9]+|[1-9][0-9]*).*/\1/')

all: $(build)/libclone_trampoline.a $(build)/$(soname) $(build)/clone_trampoline.pc

# Always made again: it takes no time, and CC may be another compiler now.
$(build)/clone_trampoline.o: always | $(build)
	@test -n "$(port)" || { echo 'no port in asm/ is for $(CC): see PORTING.md'; exit 1; }
	$(CC) $(CFLAGS) -c -o $@ $(port)

$(build)/libclone_trampoline.a: $(build)/clone_trampoline.o
	rm -f $@
	$(AR) rcs $@ $<

$(build)/$(soname): $(build)/clone_trampoline.o clone_trampoline.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -nostdlib -Wl,-z,defs -Wl,-soname,$(soname) \
		-Wl,--version-script=clone_trampoline.map -o $@ $<

$(build)/clone_trampoline.pc: clone_trampoline.pc.in always | $(build)
	sed 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|; s|@version@|$(version)|' $< >$@

$(build):
	mkdir -p $@

install: all
	install -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)
	install -m 644 include/clone_trampoline.h $(DESTDIR)$(includedir)
	install -m 644 $(build)/libclone_trampoline.a $(build)/$(soname) $(DESTDIR)$(libdir)
	ln -sf $(soname) $(DESTDIR)$(libdir)/libclone_trampoline.so
	install -m 644 $(build)/clone_trampoline.pc $(DESTDIR)$(libdir)/pkgconfig

.PHONY: all install always
