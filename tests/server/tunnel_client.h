// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_TUNNEL_CLIENT_H_
#define KINSOCK_TESTS_SERVER_TUNNEL_CLIENT_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {

// A client of ConnectionService.Tunnel, that reads on a thread of its own while a stage runs on that of the test.
class TunnelClient {
 public:
  using Frame = v1::TunnelFrame;

  // The stub outlives the client. `reads`: from the beginning; otherwise when StartReading() says so.
  explicit TunnelClient(v1::ConnectionService::Stub& stub, bool reads = true) {
    SetDeadline(context_);
    stream_ = stub.Tunnel(&context_);
    if (reads) StartReading();
  }
  TunnelClient(v1::ConnectionService::Stub& stub, const std::string& vm, uint32_t port, bool reads = true)
      : TunnelClient(stub, reads) {
    Open(vm, port);
  }
  ~TunnelClient() {
    context_.TryCancel();
    End();
  }
  TunnelClient(const TunnelClient&) = delete;
  TunnelClient& operator=(const TunnelClient&) = delete;

  void StartReading() {
    reader_ = std::thread([this] {
      Frame frame;
      while (stream_->Read(&frame)) Take(frame);
      over_ = true;
    });
  }

  void Open(const std::string& vm, uint32_t port) {
    Frame frame;
    frame.mutable_open()->set_vm("vms/" + vm);
    frame.mutable_open()->set_port(port);
    Write(frame);
  }
  // False: the call is over.
  bool Send(std::string bytes) {
    Frame frame;
    frame.set_data(std::move(bytes));
    return Write(frame);
  }
  void HalfClose() {
    Frame frame;
    frame.mutable_half_close();
    Write(frame);
  }
  bool Write(const Frame& frame) { return stream_->Write(frame); }
  // Sends all of it, in frames, on a thread of its own, and then half_close.
  void SendAll(std::string bytes) {
    writer_ = std::thread([this, bytes = std::move(bytes)] {
      for (size_t at = 0; at < bytes.size(); at += kFrame) {
        if (!Send(bytes.substr(at, kFrame))) return;
        written_ += std::min(kFrame, bytes.size() - at);
      }
      HalfClose();
    });
  }
  size_t written() const { return written_; }
  void WritesDone() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }

  // What has come until now.
  std::string received() const { return Locked(received_); }
  size_t received_bytes() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return received_.size();
  }
  std::optional<v1::TunnelOpened> opened() const { return Locked(opened_); }
  bool half_closed() const { return Locked(half_closed_); }
  std::optional<v1::Connection::CloseReason> reset() const { return Locked(reset_); }
  // No more comes.
  bool over() const { return over_; }

  // How the call has ended, for which it waits.
  grpc::Status End() {
    if (ended_.has_value()) return *ended_;
    if (!reader_.joinable()) StartReading();
    reader_.join();
    if (writer_.joinable()) writer_.join();
    ended_ = stream_->Finish();
    return *ended_;
  }

 private:
  static constexpr size_t kFrame = 65536;

  void Take(const Frame& frame) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (frame.has_opened()) opened_ = frame.opened();
    if (frame.has_data()) received_ += frame.data();
    if (frame.has_half_close()) half_closed_ = true;
    if (frame.has_reset()) reset_ = frame.reset().reason();
  }
  template <typename T>
  T Locked(const T& value) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Frame, Frame>> stream_;
  std::thread reader_;
  std::thread writer_;
  std::atomic<size_t> written_{0};
  std::atomic<bool> over_{false};
  std::optional<grpc::Status> ended_;

  mutable std::mutex mutex_;  // guards what follows
  std::string received_;
  std::optional<v1::TunnelOpened> opened_;
  bool half_closed_ = false;
  std::optional<v1::Connection::CloseReason> reset_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_TUNNEL_CLIENT_H_
