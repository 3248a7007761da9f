/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardd/observation.h: what was seen of one disk in one snapshot.
 *
 * Filled by the sentinel, a process that a guest's disk may have taken over: whoever reads it checks it
 * first (observation_check() in guardd) and prints nothing of it unescaped.  Fixed size, no pointers: it is
 * the wire format between two programs of one build as well as the detectors' input.
 */
#ifndef GUARDD_OBSERVATION_H
#define GUARDD_OBSERVATION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum guardd_structure_kind {
  GUARDD_STRUCTURE_UNKNOWN = 0, /* not empty, and nothing that is known here */
  GUARDD_STRUCTURE_MBR,
  GUARDD_STRUCTURE_GPT,
  GUARDD_STRUCTURE_PARTITION, /* an entry of one of the above; offset and length are its */
  GUARDD_STRUCTURE_EXT,       /* ext2, ext3, ext4 */
  GUARDD_STRUCTURE_XFS,
  GUARDD_STRUCTURE_BTRFS,
  GUARDD_STRUCTURE_NTFS,
  GUARDD_STRUCTURE_FAT,
  GUARDD_STRUCTURE_EXFAT,
  GUARDD_STRUCTURE_SWAP,
  GUARDD_STRUCTURE_PV, /* LVM2 physical volume */
  GUARDD_STRUCTURE_LV, /* a logical volume that people see; OPAQUE: not linear on this PV alone, and with a
                          length of 0 elsewhere, or with nothing of its own */
  GUARDD_STRUCTURE_MD, /* Linux RAID member */
  GUARDD_STRUCTURE_LUKS,
  GUARDD_STRUCTURE_BITLOCKER,
  GUARDD_STRUCTURE_KINDS,
};

enum guardd_structure_flags {
  GUARDD_STRUCTURE_COUNTED = 1u << 0,     /* the counters are filled in */
  GUARDD_STRUCTURE_LAGGING = 1u << 1,     /* they may be minutes old: the filesystem writes them late */
  GUARDD_STRUCTURE_SAMPLED = 1u << 2,     /* they are extrapolated from a fixed sample */
  GUARDD_STRUCTURE_DAMAGED = 1u << 3,     /* the magic is there, what follows cannot be */
  GUARDD_STRUCTURE_PRIMARY_BAD = 1u << 4, /* seen through its backup copy only */
  GUARDD_STRUCTURE_BACKUP_BAD = 1u << 5,  /* the backup copy is gone, or another's */
  GUARDD_STRUCTURE_OPAQUE = 1u << 6,      /* encrypted, or spread over disks: nothing inside can be seen */
  GUARDD_STRUCTURE_KEYS_GONE = 1u << 7,   /* no key slot is left, or its area is zero */
  GUARDD_STRUCTURE_OVERLAID = 1u << 8,    /* a table, or what is newer, was written over its start */
};

struct guardd_structure {
  uint32_t kind;         /* enum guardd_structure_kind */
  uint32_t flags;        /* enum guardd_structure_flags */
  char path[64];         /* where: "" the disk, "p1", "p2/root", "p3/data"; [A-Za-z0-9+_./-] only */
  uint64_t offset;       /* bytes from the disk's start, of its first byte */
  uint64_t length;       /* bytes that its container gives it */
  uint8_t uuid[16];      /* or serial number; zero: has none */
  uint64_t made;         /* seconds since 1970; 0: not known */
  uint64_t generation;   /* grows with every change, for those that count (btrfs, LUKS2, VG seqno) */
  uint64_t digest;       /* FNV-1a of what must stay as it is while generation and uuid do: key areas */
  uint64_t key;          /* FNV-1a of what tells the volume key from any other (LUKS); 0: not known */
  uint64_t total_bytes;  /* the filesystem's size by itself */
  uint64_t used_bytes;   /* the rest with GUARDD_STRUCTURE_COUNTED; UINT64_MAX: this one is not known */
  uint64_t total_inodes; /* or MFT records */
  uint64_t used_inodes;
  uint64_t used_dirs;
};

/* What changed blocks turned into, against the snapshot before.  Unit: bytes, in pieces of 4096. */
enum guardd_change_class {
  GUARDD_CHANGE_OTHER = 0,
  GUARDD_CHANGE_TO_ZERO,     /* was not zero */
  GUARDD_CHANGE_LOW_TO_HIGH, /* entropy < 7.2 became >= 7.6 bits a byte */
  GUARDD_CHANGE_LOW_TO_MID,  /* entropy rose by >= 1.5 bits, to < 7.6: every few bytes encrypted */
  GUARDD_CHANGE_HIGH,        /* was high and is */
  GUARDD_CHANGE_FROM_ZERO,   /* there was nothing, and no high entropy now */
  GUARDD_CHANGE_ZERO_TO_HIGH,
  /* Was ordinary content, and is one byte or a few bytes over and over, or zero in a block that is not. */
  GUARDD_CHANGE_COLLAPSED,
  GUARDD_CHANGE_CLASSES,
};

/* By the filesystem's own maps, before and after. */
enum guardd_change_place {
  GUARDD_PLACE_UNKNOWN = 0, /* no map could be read */
  GUARDD_PLACE_FREE,        /* is free now */
  GUARDD_PLACE_KEPT,        /* in use before, now, and all the while: something was overwritten in place */
  GUARDD_PLACE_METADATA,    /* superblock, descriptors, inodes in use */
  GUARDD_PLACE_NEW,         /* was free before, or in between, and is in use now */
  GUARDD_PLACE_LATE,   /* in use before and now, by maps that may be a minute late, or not seen in between */
  GUARDD_PLACE_RUINED, /* was one of the filesystem's own tables by its form, should be, and is not any more
                        */
  GUARDD_PLACES,
};

#define GUARDD_STRUCTURES_MAX 64u

/* What was deleted since the snapshot before, and how many files came.  Of filesystems whose maps and files
 * can be compared; extrapolated from a sample. */
struct guardd_exchange {
  uint64_t freed_bytes;              /* in use before, free now */
  uint64_t freed_low_bytes;          /* of these: neither zero nor of high entropy */
  uint64_t taken_bytes;              /* free before, or in between, and in use now */
  uint64_t taken_high_bytes;         /* of these: of high entropy */
  uint64_t taken_packed_bytes;       /* of these: begin as files do that a program compressed */
  uint64_t freed_inodes, new_inodes; /* an inode that another file has now is in both */
};

struct guardd_observation {
  uint32_t size_of; /* sizeof (struct guardd_observation) */
  uint32_t n_structures;
  uint64_t disk_size;  /* bytes */
  uint64_t read_bytes; /* read from the snapshot for this */
  uint64_t elapsed_us;
  uint64_t changed[GUARDD_CHANGE_CLASSES][GUARDD_PLACES]; /* bytes of what was classified */
  struct guardd_exchange exchange;
  struct guardd_structure structures[GUARDD_STRUCTURES_MAX];
};

#ifdef __cplusplus
}
#endif
#endif
