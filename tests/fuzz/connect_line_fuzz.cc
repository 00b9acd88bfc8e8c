// SPDX-License-Identifier: Apache-2.0
// Border: a host program's first line.

#include <cstdint>
#include <cstdlib>

#include "device/connect_line.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kinsock::ConnectLine;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const ConnectLine whole = ConnectLine::Parse(text);
  if (whole.status == ConnectLine::Status::kComplete) {
    if (whole.bytes > size || whole.bytes > ConnectLine::kMaxBytes || text[whole.bytes - 1] != '\n') abort();
    // However the line came in, it says the same.
    for (size_t n = 0; n < whole.bytes; ++n) {
      if (ConnectLine::Parse(text.substr(0, n)).status != ConnectLine::Status::kIncomplete) abort();
    }
  }
  if (whole.status == ConnectLine::Status::kIncomplete && size >= ConnectLine::kMaxBytes) abort();
  return 0;
}
