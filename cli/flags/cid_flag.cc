// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/cid_flag.h"

#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kinsock {

bool ParseCid(const std::string& text, v1::CidRequest& out) {
  if (text == "auto") {
    out.set_automatic(true);
    return true;
  }
  if (text.rfind("networks/", 0) == 0) {
    out.set_reservation(text);
    return true;
  }
  uint32_t first = 0, last = 0;
  if (absl::SimpleAtoi(text, &first)) {
    out.set_static_cid(first);
    return true;
  }
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last)) return false;
  out.mutable_range()->set_first(first);
  out.mutable_range()->set_last(last);
  return true;
}

std::string CidFault(const std::string& flag, const std::string& text) {
  return absl::StrCat(flag, ": \"", text, "\" is not a number, a range FIRST-LAST, a reservation, nor auto");
}

}  // namespace kinsock
