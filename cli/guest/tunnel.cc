// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/tunnel.h"

#include <grpcpp/support/sync_stream.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace kinsock {
namespace {

using Frame = v1::TunnelFrame;

// TunnelFrame.data has no more.
constexpr size_t kFrameBytes = 64 * 1024;

// 0, or an errno; ECANCELED: `stop` has come first.
int WriteAll(int out, const std::string& data, int stop) {
  for (size_t at = 0; at < data.size();) {
    ssize_t written = send(out, data.data() + at, data.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && errno == ENOTSOCK) written = write(out, data.data() + at, data.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {  // a socket; or somebody shares a non-blocking terminal with us
      pollfd fds[2] = {{out, POLLOUT, 0}, {stop, POLLIN, 0}};
      if (poll(fds, 2, -1) > 0 && fds[1].revents != 0) return ECANCELED;
      continue;
    }
    if (written < 0) return errno;
    at += static_cast<size_t>(written);
  }
  return 0;
}

class Tunnel {
 public:
  Tunnel(v1::ConnectionService::Stub& stub, grpc::ClientContext& context, const TunnelEnds& ends)
      : context_(context), ends_(ends), over_(eventfd(0, EFD_CLOEXEC)), stream_(stub.Tunnel(&context)) {}

  TunnelOutcome Run(const v1::TunnelOpen& where) {
    Frame frame;
    *frame.mutable_open() = where;
    const bool opened = stream_->Write(frame) && stream_->Read(&frame);
    if (opened) {
      std::thread sender([this] { Send(); });
      Receive();
      eventfd_write(over_.get(), 1);
      sender.join();
    }
    return {.status = stream_->Finish(), .opened = opened, .error = error_};
  }

 private:
  // Until the call is over.
  void Receive() {
    Frame frame;
    while (stream_->Read(&frame)) {
      if (frame.has_half_close()) ends_.end_output();
      if (!frame.has_data()) continue;
      if (const int error = WriteAll(ends_.out, frame.data(), ends_.stop); error != 0) return Break(error);
    }
  }

  void Send() {
    Frame frame;
    for (;;) {
      pollfd fds[2] = {{ends_.in, POLLIN, 0}, {over_.get(), POLLIN, 0}};
      if (poll(fds, 2, -1) < 0) continue;
      if (fds[1].revents != 0) return;
      std::string& data = *frame.mutable_data();
      data.resize(kFrameBytes);
      const ssize_t bytes = read(ends_.in, data.data(), data.size());
      if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (bytes < 0) return Break(errno);
      if (bytes == 0) break;
      data.resize(static_cast<size_t>(bytes));
      if (!stream_->Write(frame)) return;
    }
    frame.mutable_half_close();
    stream_->Write(frame);
  }

  // The guest is to know that this was not all.
  void Break(int error) {
    int none = 0;
    error_.compare_exchange_strong(none, error);
    context_.TryCancel();
  }

  grpc::ClientContext& context_;
  const TunnelEnds& ends_;
  const UniqueFd over_;
  const std::unique_ptr<grpc::ClientReaderWriter<Frame, Frame>> stream_;
  std::atomic<int> error_{0};
};

}  // namespace

TunnelOutcome RunTunnel(v1::ConnectionService::Stub& stub, grpc::ClientContext& context, const v1::TunnelOpen& where,
                        const TunnelEnds& ends) {
  return Tunnel(stub, context, ends).Run(where);
}

}  // namespace kinsock
