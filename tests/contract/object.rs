//! The object file: C8 (its unwind tables), C10 (hardening), C12 (stands alone).

use clone_trampoline::raw::clone_trampoline;
use gimli::{BaseAddresses, CallFrameInstruction, EhFrame, NativeEndian, UnwindSection};
use object::read::archive::ArchiveFile;
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionFlags, SectionKind, SymbolFlags, SymbolKind,
};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::LazyLock;

/// The archive that this program is linked with: cargo's, unless ci/mutants has put another one's object into the
/// program, and that one beside it.
fn archive() -> &'static [u8] {
    static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut beside = std::env::current_exe().expect("our own path").into_os_string();
        beside.push(".a");
        std::fs::read(beside).unwrap_or_else(|_| include_bytes!(env!("CLONE_TRAMPOLINE_ARCHIVE")).to_vec())
    });
    &ARCHIVE
}

/// The EHABI's table for unwinding, where that is the architecture's.
const EHABI: &str = ".ARM.exidx";

const FUNCTIONS: [&str; 4] =
    ["clone3_trampoline", "clone_trampoline", "clone_trampoline_syscall", "unmap_exit_trampoline"];

/// The one object file of the archive.
fn port() -> object::File<'static> {
    let bytes = archive();
    let archive = ArchiveFile::parse(bytes).expect("an archive");
    let members: Vec<_> = archive.members().map(|member| member.expect("a member")).collect();
    assert_eq!(members.len(), 1, "one port, one object");
    object::File::parse(members[0].data(bytes).expect("its bytes")).expect("an object file")
}

fn functions<'a>(file: &'a object::File<'a>) -> BTreeMap<&'a str, (u64, u64)> {
    file.symbols()
        .filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text)
        // the lowest bit is never the place: on some architectures it is the instruction set
        .filter_map(|symbol| Some((symbol.name().ok()?, (symbol.address() & !1, symbol.size()))))
        .filter(|(name, _)| FUNCTIONS.contains(name))
        .collect()
}

#[test]
fn c12_the_object_has_four_global_functions_and_needs_nothing() {
    let port = port();
    let mut globals: Vec<&str> =
        port.symbols().filter(|s| s.is_global()).map(|s| s.name().expect("a name")).collect();
    globals.sort_unstable();
    assert_eq!(globals, FUNCTIONS, "an undefined symbol is global too");
    for symbol in port.symbols().filter(|s| s.is_global()) {
        let SymbolFlags::Elf { st_other, .. } = symbol.flags() else { panic!("not ELF") };
        assert_eq!(st_other & 3, object::elf::STV_DEFAULT, "a shared library can export it");
        assert!(symbol.size() > 0 && symbol.kind() == SymbolKind::Text, "{symbol:?}");
    }
}

#[test]
fn c12_the_object_has_no_data_and_no_relocation_that_the_loader_would_see() {
    let port = port();
    for section in port.sections() {
        let name = section.name().expect("a name");
        if name == ".opd" {
            // ELFv1's function pointers: a function is called, and named, by a descriptor
            assert_eq!(section.size(), 24 * FUNCTIONS.len() as u64);
            continue;
        }
        let SectionFlags::Elf { sh_flags } = section.flags() else { panic!("not ELF") };
        let loaded = sh_flags & u64::from(object::elf::SHF_ALLOC) != 0;
        let writable = sh_flags & u64::from(object::elf::SHF_WRITE) != 0;
        assert!(!(loaded && writable) || section.size() == 0, "{name}: writable data");
        if !loaded || name == ".eh_frame" || name == EHABI {
            continue; // relative to the code, on mips once it is linked; checked below
        }
        for (offset, relocation) in section.relocations() {
            // The linker's own notes on code that it may shorten; a symbol outside this code would
            // have to be resolved by the loader.
            let local = match relocation.target() {
                RelocationTarget::Symbol(index) => {
                    let symbol = port.symbol_by_index(index).expect("a symbol");
                    symbol.section_index() == Some(section.index())
                }
                RelocationTarget::Absolute => true,
                _ => false,
            };
            assert!(local && section.kind() == SectionKind::Text, "{name}+{offset:#x}: {relocation:?}");
        }
    }
}

#[test]
fn c10_the_stack_stays_non_executable() {
    let port = port();
    let note = port.section_by_name(".note.GNU-stack").expect("without it the stack is executable");
    let SectionFlags::Elf { sh_flags } = note.flags() else { panic!("not ELF") };
    assert_eq!(sh_flags & u64::from(object::elf::SHF_EXECINSTR), 0);
}

#[test]
fn c10_the_object_carries_its_architectures_hardening_notes() {
    let property = probe::probe_property();
    let (kind, bits) = (property as u32, (property >> 32) as u32);
    let port = port();
    let Some(note) = port.section_by_name(".note.gnu.property") else {
        assert_eq!(bits, 0, "no property note");
        return;
    };
    let data = note.data().expect("its bytes");
    let word = |at: usize| u32::from_ne_bytes(data[at..at + 4].try_into().expect("four bytes"));
    let align = if port.is_64() { 8 } else { 4 };
    assert_eq!(note.align(), align);
    assert_eq!((word(0), word(8), &data[12..16]), (4, 5, &b"GNU\0"[..]), "NT_GNU_PROPERTY_TYPE_0");
    assert_eq!(word(4) as usize, data.len() - 16, "the size of the properties");
    assert_eq!(word(4) as u64 % align, 0, "padded");
    assert_eq!(word(16), kind);
    assert_eq!(word(20), 4, "the size of the bits");
    assert_eq!(word(24), bits);
}

#[test]
fn c10_every_entry_is_a_landing_pad() {
    let pad = probe::probe_landing_pad();
    let port = port();
    for (name, (address, _)) in functions(&port) {
        let text = port.sections().find(|s| s.kind() == SectionKind::Text && s.size() > 0);
        let code = text.expect("code").data().expect("its bytes");
        let first = &code[address as usize..address as usize + 4];
        let first = u32::from_ne_bytes(first.try_into().expect("four bytes"));
        assert!(pad == 0 || first == pad, "{name} begins with {first:#010x}, not {pad:#010x}");
    }
}

/// Whether exceptions are unwound by the EHABI's tables in this program, and not by .eh_frame.
pub(crate) fn ehabi() -> bool {
    let program = std::fs::read("/proc/self/exe").expect("our own program");
    object::File::parse(&*program).expect("an ELF file").section_by_name(EHABI).is_some()
}

/// The EHABI's tables say of every function that there is no way out of it.
#[test]
fn c8_the_ehabis_unwinder_goes_no_further() {
    const CANTUNWIND: u32 = 1;
    let port = port();
    let Some(table) = port.section_by_name(EHABI) else {
        return assert!(!ehabi(), "the linker alone says so");
    };
    let data = table.data().expect("its bytes");
    let words: Vec<u32> =
        data.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes"))).collect();
    let found: Vec<_> = words.chunks_exact(2).map(|entry| (u64::from(entry[0]), entry[1])).collect();
    let mut expected: Vec<_> = functions(&port).values().map(|&(address, _)| (address, CANTUNWIND)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected, "an entry for each function, which it names by a relocation");
}

/// In the linked program every byte of the four functions has an unwind rule; in the child's part,
/// and behind unmap_exit's munmap, the rule is that there is no caller.
#[test]
fn c8_every_instruction_has_an_unwind_rule_and_the_child_has_no_caller() {
    let program = std::fs::read("/proc/self/exe").expect("our own program");
    let file = object::File::parse(&*program).expect("an ELF file");
    let section = file.section_by_name(".eh_frame").expect(".eh_frame");
    let text = file.section_by_name(".text").expect(".text");
    let bases = BaseAddresses::default().set_eh_frame(section.address()).set_text(text.address());
    let data = section.data().expect("its bytes");
    let mut frames = EhFrame::new(data, NativeEndian);
    frames.set_address_size(if file.is_64() { 8 } else { 4 });

    let functions = functions(&file);
    assert_eq!(functions.keys().copied().collect::<Vec<_>>(), FUNCTIONS);
    // how far this program was moved from where its file would have it
    let moved =
        (clone_trampoline as *const () as usize).wrapping_sub(functions["clone_trampoline"].0 as usize);
    for (name, (symbol, size)) in functions {
        let code = probe::code(ptr::without_provenance(moved.wrapping_add(symbol as usize)));
        let start = code.wrapping_sub(moved) as u64;
        let mut covered = start;
        let mut without_caller = Vec::new();
        while covered < start + size {
            let fde = frames
                .fde_for_address(&bases, covered, EhFrame::cie_from_offset)
                .unwrap_or_else(|error| panic!("{name}+{:#x}: {error}", covered - start));
            let return_address = fde.cie().return_address_register();
            // gimli's table takes a register without a rule for an undefined one: read the
            // instructions instead.
            let mut location = fde.initial_address();
            let mut instructions = fde.instructions(&frames, &bases);
            while let Some(instruction) = instructions.next().expect("an instruction") {
                match instruction {
                    CallFrameInstruction::AdvanceLoc { delta } => {
                        location += u64::from(delta) * fde.cie().code_alignment_factor();
                    }
                    CallFrameInstruction::Undefined { register } if register == return_address => {
                        // unmap_exit loses its caller on the way, with its stack
                        let whole = name == "unmap_exit_trampoline" || location == fde.initial_address();
                        assert!(whole, "{name}: the parent's part has no caller");
                        without_caller.push(location);
                    }
                    _ => {}
                }
            }
            covered = fde.initial_address() + fde.len();
        }
        if name == "clone_trampoline_syscall" {
            assert_eq!((without_caller, covered), (vec![], start + size), "{name}");
            continue;
        }
        // One part, at the end: the trap and what follows it in the parent have a caller.
        let [child] = without_caller[..] else {
            panic!("{name}: not one child's part: {without_caller:#x?}")
        };
        assert!((start + 4..start + size).contains(&child), "{name}: {child:#x}");
        assert_eq!(covered, start + size, "{name}: an unwind rule beyond its end");
    }
}
