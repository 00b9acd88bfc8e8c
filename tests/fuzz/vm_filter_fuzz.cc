// SPDX-License-Identifier: Apache-2.0
// Border: a client's filter.

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "server/model/vm_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kinsock;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<VmFilter> filter = VmFilter::Parse(text);
  if (!filter.ok()) return 0;
  auto definition = std::make_shared<VmDefinition>();
  definition->labels["a"] = "b";
  VmSnapshot vm;
  vm.definition = definition;
  const bool matches = filter->Matches(vm);
  if (filter->matches_all() && !matches) abort();
  // Said twice, it says the same.
  if (size == 0 || size > VmFilter::kMaxBytes / 2 - 5 || filter->matches_all()) return 0;
  const absl::StatusOr<VmFilter> twice = VmFilter::Parse(std::string(text) + " AND " + std::string(text));
  if (twice.ok() && twice->Matches(vm) != matches) abort();
  return 0;
}
