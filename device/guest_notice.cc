// SPDX-License-Identifier: Apache-2.0
#include "device/guest_notice.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

struct Name {
  absl::string_view name;   // as the guest says it
  absl::string_view shown;  // as a person reads it
};

// STATUS, ERRNO and EXIT_STATUS as in sd_notify(3); the others are what the system manager says of itself
// (systemd(1), vmm.notify_socket): the unit that is active or no more, and why it shuts down.
constexpr std::array<Name, 6> kKnown{{{"STATUS", "status"},
                                      {"ERRNO", "errno"},
                                      {"EXIT_STATUS", "exit status"},
                                      {"X_SYSTEMD_UNIT_ACTIVE", "active unit"},
                                      {"X_SYSTEMD_UNIT_INACTIVE", "inactive unit"},
                                      {"X_SYSTEMD_SHUTDOWN", "shutdown"}}};

}  // namespace

bool GuestNotice::Take(absl::string_view line) {
  static_assert(kKnown.size() == kNames);
  if (line == "READY=1") return std::exchange(word_, Word::kReady) != Word::kReady;
  if (line == "STOPPING=1") return std::exchange(word_, Word::kStopping) != Word::kStopping;
  const size_t sign = line.find('=');
  if (sign == absl::string_view::npos) return false;
  for (size_t i = 0; i < kNames; ++i) {
    if (line.substr(0, sign) != kKnown[i].name) continue;
    // Escaped when it comes: nothing that is not printable is ever kept.
    std::string value = absl::CEscape(line.substr(sign + 1, kMaxValueBytes));
    if (values_[i] == value) return false;
    values_[i] = std::move(value);
    return true;
  }
  return false;
}

std::string GuestNotice::Describe() const {
  std::string text;
  for (size_t i = 0; i < kNames; ++i) {
    if (values_[i].empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", kKnown[i].shown, " \"", values_[i], "\"");
  }
  if (text.size() > kMaxTextBytes) text = text.substr(0, kMaxTextBytes - 3) + "...";
  return text;
}

}  // namespace kinsock
