// SPDX-License-Identifier: Apache-2.0
#include "server/convert/paging.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {

absl::StatusOr<Page> ParsePage(int32_t page_size, std::string_view page_token) {
  std::vector<FieldViolation> violations;
  Page page;
  if (page_size < 0) violations.push_back({"page_size", absl::StrCat(page_size, " is negative; give 0 to 1000")});
  if (page_size > 0) page.size = std::min(static_cast<size_t>(page_size), Page::kMaxSize);
  if (!page_token.empty()) {
    page.token = PageToken::Parse(page_token);
    if (!page.token.has_value()) {
      violations.push_back(
          {"page_token", absl::StrCat(Quoted(page_token), " is not a next_page_token of this daemon")});
    }
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return page;
}

}  // namespace kinsock
