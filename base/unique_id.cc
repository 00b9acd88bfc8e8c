// SPDX-License-Identifier: Apache-2.0
#include "base/unique_id.h"

#include <systemd/sd-id128.h>

#include <cstdlib>

#include "absl/strings/str_format.h"

namespace kinsock {

std::string RandomUuid() {
  sd_id128_t id;
  // Fails only when the kernel has no random numbers to give; unique names cannot be had without.
  if (sd_id128_randomize(&id) < 0) std::abort();
  return absl::StrFormat(SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
}

std::string RandomEpoch() { return RandomUuid().substr(0, 8); }

}  // namespace kinsock
