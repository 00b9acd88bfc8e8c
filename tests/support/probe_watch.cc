// SPDX-License-Identifier: Apache-2.0
#include "tests/support/probe_watch.h"

#include <elf.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

constexpr uint8_t kNop = 0x90;
constexpr uint8_t kBreakpoint = 0xcc;
constexpr size_t kMaxFirings = 100'000;

// Where an argument is at the probe: the N@OP of <sys/sdt.h>, with a register or a constant as OP.
struct Argument {
  int greg = -1;  // REG_*; -1: `constant`
  uint64_t constant = 0;
  uint64_t mask = 0;
};

struct Site {
  uint8_t* address = nullptr;
  std::string probe;
  std::vector<Argument> arguments;
};

struct Seen {
  const Site* site = nullptr;
  ProbeWatch::Firing firing;
};

struct Register {
  int greg;
  std::array<const char*, 4> names;  // of 8, 4, 2 and 1 bytes
};
constexpr Register kRegisters[] = {
    {REG_RAX, {"rax", "eax", "ax", "al"}},      {REG_RBX, {"rbx", "ebx", "bx", "bl"}},
    {REG_RCX, {"rcx", "ecx", "cx", "cl"}},      {REG_RDX, {"rdx", "edx", "dx", "dl"}},
    {REG_RSI, {"rsi", "esi", "si", "sil"}},     {REG_RDI, {"rdi", "edi", "di", "dil"}},
    {REG_RBP, {"rbp", "ebp", "bp", "bpl"}},     {REG_R8, {"r8", "r8d", "r8w", "r8b"}},
    {REG_R9, {"r9", "r9d", "r9w", "r9b"}},      {REG_R10, {"r10", "r10d", "r10w", "r10b"}},
    {REG_R11, {"r11", "r11d", "r11w", "r11b"}}, {REG_R12, {"r12", "r12d", "r12w", "r12b"}},
    {REG_R13, {"r13", "r13d", "r13w", "r13b"}}, {REG_R14, {"r14", "r14d", "r14w", "r14b"}},
    {REG_R15, {"r15", "r15d", "r15w", "r15b"}},
};

int GregOf(absl::string_view name) {
  for (const Register& each : kRegisters) {
    for (const char* alias : each.names) {
      if (name == alias) return each.greg;
    }
  }
  return -1;
}

Argument ParseArgument(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('@', 1));
  int bytes = 0;
  Require(absl::SimpleAtoi(parts.first, &bytes), "a probe's argument has a size");
  bytes = std::abs(bytes);
  Argument argument{.mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1};
  const absl::string_view operand = parts.second;
  Require(operand.size() > 1, "a probe's argument is somewhere");
  int64_t constant = 0;
  if (operand[0] == '$' && absl::SimpleAtoi(operand.substr(1), &constant)) {
    argument.constant = static_cast<uint64_t>(constant);
    return argument;
  }
  argument.greg = GregOf(operand.substr(1));
  Require(argument.greg >= 0, "a probe's argument is a constant or in a register");
  return argument;
}

// How far the program lies from where it was linked to.
uintptr_t LoadBias() {
  uintptr_t bias = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;  // the program itself comes first
      },
      &bias);
  return bias;
}

// The note of one probe: three addresses, then provider, name and arguments, each with a zero behind it.
void AddSite(const char* description, std::vector<Site>& sites) {
  uint64_t location = 0;
  std::memcpy(&location, description, sizeof(location));
  const char* const provider = description + 3 * sizeof(uint64_t);
  const char* const name = provider + std::strlen(provider) + 1;
  const char* const arguments = name + std::strlen(name) + 1;
  if (std::strcmp(provider, "kinsock") != 0) return;
  Site site{.address = reinterpret_cast<uint8_t*>(LoadBias() + location), .probe = name, .arguments = {}};
  for (const absl::string_view text : absl::StrSplit(arguments, ' ', absl::SkipEmpty())) {
    site.arguments.push_back(ParseArgument(text));
  }
  Require(site.arguments.size() <= ProbeWatch::kMaxArguments, "a probe has no more arguments than <sys/sdt.h> knows");
  sites.push_back(std::move(site));
}

std::vector<Site> FindSites() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(image.data());
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(image.data() + header->e_shoff);
  const char* const names = image.data() + sections[header->e_shstrndx].sh_offset;
  std::vector<Site> sites;
  for (size_t i = 0; i < header->e_shnum; ++i) {
    if (std::strcmp(names + sections[i].sh_name, ".note.stapsdt") != 0) continue;
    size_t at = sections[i].sh_offset;
    const size_t end = at + sections[i].sh_size;
    while (at < end) {
      const auto* const note = reinterpret_cast<const Elf64_Nhdr*>(image.data() + at);
      const size_t description = at + sizeof(*note) + (note->n_namesz + 3) / 4 * 4;
      AddSite(image.data() + description, sites);
      at = description + (note->n_descsz + 3) / 4 * 4;
    }
  }
  return sites;
}

// What the handler of the breakpoints sees; it allocates nothing. Stays when the watch is over: a thread may be on its
// way to the handler.
struct Watch {
  std::vector<Site> sites = FindSites();
  std::unique_ptr<Seen[]> seen = std::make_unique<Seen[]>(kMaxFirings);
  std::atomic<size_t> begun{0};
  std::array<std::atomic<bool>, kMaxFirings> done{};
};
Watch* watch = nullptr;
bool watching = false;

void OnBreakpoint(int, siginfo_t*, void* context) {
  const auto& gregs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* const address = reinterpret_cast<const uint8_t*>(gregs[REG_RIP]) - 1;
  for (const Site& site : watch->sites) {
    if (site.address != address) continue;
    const size_t index = watch->begun.fetch_add(1);
    if (index >= kMaxFirings) std::abort();
    Seen& seen = watch->seen[index];
    seen.site = &site;
    for (size_t i = 0; i < site.arguments.size(); ++i) {
      const Argument& argument = site.arguments[i];
      const uint64_t value = argument.greg < 0 ? argument.constant : static_cast<uint64_t>(gregs[argument.greg]);
      seen.firing.arguments[i] = value & argument.mask;
    }
    watch->done[index].store(true, std::memory_order_release);
    return;  // behind the breakpoint, as behind the nop
  }
  std::abort();
}

void Write(const std::vector<Site>& sites, uint8_t expected, uint8_t instruction) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const Site& site : sites) {
    void* const start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(site.address) / page * page);
    Require(mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC) == 0, "code can be written");
    Require(*site.address == expected, "a probe is one nop");
    __atomic_store_n(site.address, instruction, __ATOMIC_SEQ_CST);
    Require(mprotect(start, page, PROT_READ | PROT_EXEC) == 0, "code can be run");
  }
}

}  // namespace

ProbeWatch::ProbeWatch() {
  Require(!std::exchange(watching, true), "there is one ProbeWatch at a time");
  if (watch == nullptr) watch = new Watch();
  watch->begun = 0;
  for (std::atomic<bool>& done : watch->done) done = false;
  struct sigaction action {};
  action.sa_sigaction = OnBreakpoint;
  action.sa_flags = SA_SIGINFO;
  Require(sigaction(SIGTRAP, &action, nullptr) == 0, "breakpoints can be handled");
  Write(watch->sites, kNop, kBreakpoint);
}

ProbeWatch::~ProbeWatch() {
  Write(watch->sites, kBreakpoint, kNop);
  watching = false;
}

std::vector<ProbeWatch::Firing> ProbeWatch::Of(const std::string& probe) const {
  std::vector<Firing> firings;
  const size_t begun = watch->begun.load();
  for (size_t i = 0; i < begun; ++i) {
    while (!watch->done[i].load(std::memory_order_acquire)) {
    }
    if (watch->seen[i].site->probe == probe) firings.push_back(watch->seen[i].firing);
  }
  return firings;
}

}  // namespace kinsock::testing
