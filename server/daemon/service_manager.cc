// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "server/host/log.h"

namespace kinsock {

ServiceManager::ServiceManager(EventLoop& main, const Heartbeat& heartbeat, std::function<std::string()> status)
    : main_(main), heartbeat_(heartbeat), status_(std::move(status)) {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0) watchdog_ = std::chrono::microseconds(microseconds);
}

ServiceManager::~ServiceManager() {
  if (timer_.has_value()) main_.Cancel(*timer_);
}

void ServiceManager::Ready() {
  told_ = status_();
  Say(absl::StrCat("READY=1\nSTATUS=", told_));
  if (socket_.wanted()) Tell();
}

// With the time, by which systemd knows which of its requests this answers (Type=notify-reload).
void ServiceManager::Reloading() {
  if (stopping_) return;
  const auto now = Clock::Monotonic().Now().time_since_epoch();
  Say(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void ServiceManager::Reloaded() {
  if (!stopping_) Say("READY=1");
}

void ServiceManager::Stopping() {
  stopping_ = true;
  if (timer_.has_value()) main_.Cancel(*timer_);
  timer_.reset();
  Say("STOPPING=1\nSTATUS=ending");
}

void ServiceManager::Say(std::string happened) {
  if (waiting_.size() == kMaxWaiting) waiting_.pop_front();
  waiting_.push_back(std::move(happened));
  TellWaiting();
}

// False: some still wait.
bool ServiceManager::TellWaiting() {
  while (!waiting_.empty()) {
    if (!Send(waiting_.front())) return false;
    waiting_.pop_front();
  }
  return true;
}

bool ServiceManager::Send(const std::string& message) {
  const bool was_blocked = std::exchange(blocked_, !socket_.Send(message));
  if (blocked_ && !was_blocked) {
    Log(LogLevel::kWarning, "notify.blocked").With("reason", "who has started the daemon does not read what it tells");
  }
  return !blocked_;
}

void ServiceManager::Tell() {
  std::string message;
  if (watchdog_.count() > 0) {
    if (heartbeat_.all_alive()) {
      message = "WATCHDOG=1";
    } else {
      Log(LogLevel::kError, "watchdog.withheld").With("reason", "a thread does not go round; see /livez");
    }
  }
  const std::string status = status_();
  if (status != told_) absl::StrAppend(&message, message.empty() ? "" : "\n", "STATUS=", status);
  // Neither waits: later it would be another moment's.
  if (TellWaiting() && (message.empty() || Send(message))) told_ = status;
  std::chrono::nanoseconds next = kInterval;
  // Twice in its time, as sd_watchdog_enabled(3) advises, and once more for a machine that is busy.
  if (watchdog_.count() > 0) next = std::min<std::chrono::nanoseconds>(next, watchdog_ / 3);
  timer_ = main_.RunAfter(next, [this] { Tell(); });
}

}  // namespace kinsock
