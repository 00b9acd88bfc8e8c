// SPDX-License-Identifier: Apache-2.0
#include "cli/call/reader_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <thread>

#include "base/unique_fd.h"

namespace kinsock {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::Interceptor;

void Watch(int stop) {
  // No events are asked for: that the other end of a pipe or a socket is gone is told unasked.
  pollfd fds[] = {{STDOUT_FILENO, 0, 0}, {stop, POLLIN, 0}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  if ((fds[0].revents & (POLLERR | POLLHUP)) != 0) kill(getpid(), SIGPIPE);
}

// Of the process, as standard output is.
class ReaderWatch {
 public:
  ReaderWatch() : stop_(eventfd(0, EFD_CLOEXEC)) {
    if (stop_.valid()) thread_ = std::thread(Watch, stop_.get());
  }
  ~ReaderWatch() {
    const uint64_t one = 1;
    if (!thread_.joinable()) return;
    if (write(stop_.get(), &one, sizeof(one)) == sizeof(one)) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  ReaderWatch(const ReaderWatch&) = delete;
  ReaderWatch& operator=(const ReaderWatch&) = delete;

 private:
  const UniqueFd stop_;
  std::thread thread_;
};

class Factory final : public ClientInterceptorFactoryInterface {
 public:
  Interceptor* CreateClientInterceptor(ClientRpcInfo* info) override {
    if (info->type() == ClientRpcInfo::Type::SERVER_STREAMING) static const ReaderWatch watch;
    return nullptr;  // the call itself is left alone
  }
};

}  // namespace

std::unique_ptr<ClientInterceptorFactoryInterface> WatchReaderOfStreams() { return std::make_unique<Factory>(); }

}  // namespace kinsock
