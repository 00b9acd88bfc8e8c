// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_PAGING_H_
#define KINSOCK_SERVER_CONVERT_PAGING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/model/resource_version.h"

namespace kinsock {

// What a List request asks for (AIP-158).
struct Page {
  static constexpr size_t kDefaultSize = 100;
  static constexpr size_t kMaxSize = 1000;

  size_t size = kDefaultSize;      // 1 to kMaxSize
  std::optional<PageToken> token;  // none: the first page
};

// INVALID_ARGUMENT FIELD_INVALID for a negative size or a token that no response has had. Any thread.
absl::StatusOr<Page> ParsePage(int32_t page_size, std::string_view page_token);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_PAGING_H_
