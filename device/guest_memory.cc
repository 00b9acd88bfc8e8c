// SPDX-License-Identifier: Apache-2.0
#include "device/guest_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "device/guest_fault.h"

namespace kinsock {
namespace {

// Inaccessible space on each side of a mapping: an address computed wrongly by up to a packet hits nothing.
constexpr size_t kGuardBytes = 128 * 1024;

absl::Status Invalid(const MemoryRegionSpec& spec, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrFormat("memory region at 0x%x of 0x%x bytes: %s", spec.guest_address, spec.size, what));
}

bool Wraps(uint64_t begin, uint64_t size) { return begin + size < begin; }

// Page faults on these file systems are served by the kernel alone. On others (FUSE, NFS) a fault would wait
// for somebody's program, and with it the reactor.
bool IsMemoryFileSystem(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return false;
  return fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
}

absl::Status CheckSpec(const MemoryRegionSpec& spec) {
  if (spec.size == 0) return Invalid(spec, "is empty");
  if (Wraps(spec.guest_address, spec.size)) return Invalid(spec, "guest address wraps");
  if (Wraps(spec.user_address, spec.size)) return Invalid(spec, "user address wraps");
  if (Wraps(spec.mmap_offset, spec.size)) return Invalid(spec, "file offset wraps");
  if (!spec.fd.valid()) return Invalid(spec, "has no file descriptor");
  if (!IsMemoryFileSystem(spec.fd.get())) {
    return Invalid(spec, "is not a memfd, tmpfs or hugetlbfs file; use -object memory-backend-memfd,share=on");
  }
  struct stat file;
  if (fstat(spec.fd.get(), &file) != 0) return absl::ErrnoToStatus(errno, "fstat of guest memory");
  if (static_cast<uint64_t>(file.st_size) < spec.mmap_offset + spec.size) {
    return Invalid(spec, absl::StrCat("ends behind its file of ", file.st_size, " bytes"));
  }
  return absl::OkStatus();
}

// Page size of the file: huge pages can only be mapped at their own alignment.
uint64_t BlockBytes(int fd) {
  struct stat file;
  constexpr uint64_t kPage = 4096;
  if (fstat(fd, &file) != 0 || file.st_blksize < static_cast<blksize_t>(kPage)) return kPage;
  return static_cast<uint64_t>(file.st_blksize);
}

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedRegion>> MappedRegion::Map(MemoryRegionSpec spec) {
  KINSOCK_RETURN_IF_ERROR(CheckSpec(spec));
  // Keeps an honest front-end from truncating by mistake. Refused where seals are not allowed; then the
  // fault guard is all there is.
  fcntl(spec.fd.get(), F_ADD_SEALS, F_SEAL_SHRINK);

  const uint64_t block = BlockBytes(spec.fd.get());
  const uint64_t skip = spec.mmap_offset % block;
  const uint64_t mapped_bytes = RoundUp(spec.size + skip, block);
  const uint64_t guard = RoundUp(kGuardBytes, block);
  const size_t reserved = mapped_bytes + 2 * guard + block;
  void* reservation = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return absl::ErrnoToStatus(errno, "no address space for guest memory");

  std::shared_ptr<MappedRegion> region(new MappedRegion);
  region->reservation_ = reservation;
  region->reservation_bytes_ = reserved;
  auto* begin = reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<uint64_t>(reservation) + guard, block));
  if (mmap(begin, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, spec.fd.get(),
           static_cast<off_t>(spec.mmap_offset - skip)) == MAP_FAILED) {
    return absl::ErrnoToStatus(errno, "cannot map guest memory");
  }
  madvise(begin, mapped_bytes, MADV_DONTDUMP);  // a core file must not hold a guest's secrets

  region->guest_address_ = spec.guest_address;
  region->user_address_ = spec.user_address;
  region->size_ = spec.size;
  region->data_ = begin + skip;
  region->watched_ = GuestFaultGuard::Watch(region->data_, spec.size, region->faulted_);
  if (!region->watched_) return absl::ResourceExhaustedError("too many guest memory regions");
  return region;
}

MappedRegion::~MappedRegion() {
  if (watched_) GuestFaultGuard::Unwatch(data_);
  munmap(reservation_, reservation_bytes_);
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::FromRegions(std::vector<Region> regions) {
  if (regions.size() > kMaxRegions) {
    return absl::InvalidArgumentError(
        absl::StrCat(regions.size(), " memory regions, at most ", kMaxRegions, " are served"));
  }
  std::sort(regions.begin(), regions.end(),
            [](const Region& a, const Region& b) { return a->guest_address() < b->guest_address(); });
  for (size_t i = 1; i < regions.size(); ++i) {
    if (regions[i - 1]->guest_address() + regions[i - 1]->size() > regions[i]->guest_address()) {
      return absl::InvalidArgumentError(absl::StrFormat("memory regions overlap at 0x%x", regions[i]->guest_address()));
    }
  }
  auto memory = std::make_shared<GuestMemory>();
  memory->spans_.reserve(regions.size());
  for (const Region& region : regions) {
    memory->spans_.push_back({region->guest_address(), region->size(), region->data()});
  }
  memory->regions_ = std::move(regions);
  return memory;
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::Create(std::vector<MemoryRegionSpec> specs) {
  std::vector<Region> regions;
  for (MemoryRegionSpec& spec : specs) {
    KINSOCK_ASSIGN_OR_RETURN(Region region, MappedRegion::Map(std::move(spec)));
    regions.push_back(std::move(region));
  }
  return FromRegions(std::move(regions));
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::With(MemoryRegionSpec spec) const {
  std::vector<Region> regions = regions_;
  KINSOCK_ASSIGN_OR_RETURN(Region region, MappedRegion::Map(std::move(spec)));
  regions.push_back(std::move(region));
  return FromRegions(std::move(regions));
}

absl::StatusOr<std::shared_ptr<const GuestMemory>> GuestMemory::Without(uint64_t guest_address, uint64_t size,
                                                                        uint64_t user_address) const {
  std::vector<Region> regions = regions_;
  const auto it = std::find_if(regions.begin(), regions.end(), [&](const Region& region) {
    return region->guest_address() == guest_address && region->size() == size && region->user_address() == user_address;
  });
  if (it == regions.end()) {
    return absl::NotFoundError(absl::StrFormat("no memory region at 0x%x of 0x%x bytes", guest_address, size));
  }
  regions.erase(it);
  return FromRegions(std::move(regions));
}

bool GuestMemory::Translate(uint64_t address, uint32_t size, ScatterList& out) const {
  uint64_t left = size;
  for (const Span& span : spans_) {
    const uint64_t offset = address - span.guest_address;  // wraps to a large number if in front
    if (offset >= span.size) continue;
    const uint64_t n = std::min(left, span.size - offset);
    out.Append(span.data + offset, n);
    address += n;
    left -= n;
    if (left == 0) return true;
  }
  return left == 0;
}

std::byte* GuestMemory::Contiguous(uint64_t address, uint64_t size) const {
  for (const Span& span : spans_) {
    const uint64_t offset = address - span.guest_address;
    if (offset < span.size) return size <= span.size - offset ? span.data + offset : nullptr;
  }
  return nullptr;
}

std::byte* GuestMemory::ContiguousUser(uint64_t user_address, uint64_t size) const {
  for (const Region& region : regions_) {
    const uint64_t offset = user_address - region->user_address();
    if (offset < region->size()) return size <= region->size() - offset ? region->data() + offset : nullptr;
  }
  return nullptr;
}

bool GuestMemory::faulted() const {
  return std::any_of(regions_.begin(), regions_.end(), [](const Region& r) { return r->faulted(); });
}

}  // namespace kinsock
