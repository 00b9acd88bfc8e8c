// SPDX-License-Identifier: Apache-2.0
#include "tests/server/bad_tunnel_requests.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {
namespace {

using Frame = v1::TunnelFrame;

grpc::Status EndOfTunnel(v1::ConnectionService::Stub& stub, const Frame& first) {
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub.Tunnel(&context);
  stream->Write(first);
  Frame frame;
  while (stream->Read(&frame)) continue;
  return stream->Finish();
}

Frame Open(const std::string& vm, uint32_t port, const std::string& type = "") {
  Frame frame;
  frame.mutable_open()->set_vm(vm);
  frame.mutable_open()->set_port(port);
  frame.mutable_open()->set_type(type);
  return frame;
}

}  // namespace

std::vector<BadRequest> BadTunnelRequests(std::shared_ptr<grpc::Channel> channel) {
  using Stub = v1::ConnectionService::Stub;
  const std::shared_ptr<Stub> stub = v1::ConnectionService::NewStub(std::move(channel));
  std::vector<BadRequest> all;
  const auto add = [&](const std::string& what, Frame first, grpc::StatusCode code, const char* reason,
                       const char* field) {
    // The stub lives as long as somebody may call it.
    all.push_back({"Tunnel: " + what, [stub, first = std::move(first)] { return EndOfTunnel(*stub, first); }, code,
                   reason, field});
  };
  const auto invalid = [&](const std::string& what, Frame first, const char* field) {
    add(what, std::move(first), grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", field);
  };
  Frame data, half_close, reset;
  data.set_data(std::string(100'000, 'x'));
  half_close.mutable_half_close();
  reset.mutable_reset();
  invalid("nothing first", Frame(), "open");
  invalid("data first", data, "open");
  invalid("half_close first", half_close, "open");
  invalid("reset first", reset, "open");
  invalid("to what is no VM", Open("there", 80), "open.vm");
  invalid("to a VM's parent", Open("vms/../there", 80), "open.vm");
  invalid("to a megabyte", Open("vms/" + std::string(1u << 20, 'x'), 80), "open.vm");
  invalid("to no port", Open("vms/there", 0), "open.port");
  invalid("to any port", Open("vms/there", UINT32_MAX), "open.port");
  invalid("of messages", Open("vms/there", 80, "SEQPACKET"), "open.type");
  add("to no VM", Open("vms/nobody", 80), grpc::StatusCode::NOT_FOUND, "VM_NOT_FOUND", "");
  add("to a VM without a guest", Open("vms/there", 80), grpc::StatusCode::FAILED_PRECONDITION, "GUEST_REFUSED", "");
  return all;
}

}  // namespace kinsock::testing
