// SPDX-License-Identifier: Apache-2.0
#include "device/wait_breaker.h"

#include <csignal>
#include <mutex>

namespace kinsock {
namespace {

void InstallHandler() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // not SA_RESTART: the call is to return
  sigaction(SIGURG, &action, nullptr);
}

}  // namespace

void BreakWait(pthread_t thread) {
  static std::once_flag installed;
  std::call_once(installed, InstallHandler);
  pthread_kill(thread, SIGURG);
}

}  // namespace kinsock
