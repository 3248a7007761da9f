/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a shared object exports; elf(5). */
#include "check.h"

#include <elf.h>
#include <string.h>

static bool
is_exported (const Elf64_Sym *symbol)
{
  unsigned bind = ELF64_ST_BIND (symbol->st_info);
  return symbol->st_shndx != SHN_UNDEF && symbol->st_name != 0 && (bind == STB_GLOBAL || bind == STB_WEAK)
         && ELF64_ST_VISIBILITY (symbol->st_other) == STV_DEFAULT;
}

static bool
fits (gsize length, guint64 offset, guint64 size)
{
  return offset <= length && size <= length - offset;
}

/* Names that are exported beside the entry; NULL: it is no such file. */
static GPtrArray *
exported (const char *data, gsize length)
{
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)data;
  if (length < sizeof *header || memcmp (header->e_ident, ELFMAG, SELFMAG) != 0
      || header->e_ident[EI_CLASS] != ELFCLASS64
      || !fits (length, header->e_shoff, (guint64)header->e_shnum * sizeof (Elf64_Shdr)))
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(const void *)(data + header->e_shoff);
  for (guint i = 0; i < header->e_shnum; i++) {
    const Elf64_Shdr *section = &sections[i];
    if (section->sh_type != SHT_DYNSYM || section->sh_link >= header->e_shnum
        || !fits (length, section->sh_offset, section->sh_size))
      continue;
    const Elf64_Shdr *strings = &sections[section->sh_link];
    const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(data + section->sh_offset);
    for (guint64 j = 0; j < section->sh_size / sizeof *symbols; j++)
      if (is_exported (&symbols[j]) && fits (length, strings->sh_offset, symbols[j].st_name))
        g_ptr_array_add (names, g_strdup (data + strings->sh_offset + symbols[j].st_name));
  }
  return names;
}

void
check_symbols (const char *path)
{
  g_autofree char *data = NULL;
  gsize length = 0;
  g_autoptr (GPtrArray) names
      = g_file_get_contents (path, &data, &length, NULL) ? exported (data, length) : NULL;
  g_autoptr (GString) list = g_string_new (NULL);
  for (guint i = 0; names && i < names->len; i++)
    g_string_append_printf (list, "%s%s", i ? ", " : "", (const char *)names->pdata[i]);
  check (names && names->len == 1 && strcmp (names->pdata[0], "guardd_plugin_entry") == 0,
         "exports guardd_plugin_entry and nothing else: %s", list->str);
}
