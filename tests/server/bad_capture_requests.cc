// SPDX-License-Identifier: Apache-2.0
#include "tests/server/bad_capture_requests.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "tests/server/request_call.h"

namespace kinsock::testing {

std::vector<BadRequest> BadCaptureRequests(std::shared_ptr<grpc::Channel> channel) {
  using Stub = v1::ConnectionService::Stub;
  const std::shared_ptr<Stub> stub = v1::ConnectionService::NewStub(std::move(channel));
  std::vector<BadRequest> all;
  const auto add = [&](std::string what, const std::function<void(v1::CaptureRequest&)>& fill, grpc::StatusCode code,
                       const char* reason, const char* field) {
    auto send = Stream(*stub, &Stub::Capture, With<v1::CaptureRequest>(fill));
    // The stub lives as long as somebody may call it.
    all.push_back({"Capture: " + what, [stub, send = std::move(send)] { return send(); }, code, reason, field});
  };
  const auto invalid = [&](std::string what, const std::function<void(v1::CaptureRequest&)>& fill, const char* field) {
    add(std::move(what), fill, grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", field);
  };
  const auto filter = [](std::string text) { return [text](v1::CaptureRequest& r) { r.set_filter(text); }; };
  invalid("a filter of tcpdump", filter("tcp port 80"), "filter");
  invalid("a key that there is not", filter("color=red"), "filter");
  invalid("an operation that there is not", filter("op=sendto"), "filter");
  invalid("a port beyond all", filter("port=99999999999"), "filter");
  invalid("a filter of a megabyte", filter(std::string(1u << 20, 'x')), "filter");
  invalid("a filter that moves the cursor", filter("vm=\x1b[2J\n port=x"), "filter");
  std::string many = "cid=3";
  for (int i = 0; i < 400; ++i) many += ",3";
  invalid("a filter of 401 values", filter(many.substr(0, 1024)), "filter");
  add("of no VM", filter("vm=nobody"), grpc::StatusCode::NOT_FOUND, "VM_NOT_FOUND", "");
  add("of no network", filter("network=nowhere"), grpc::StatusCode::NOT_FOUND, "NETWORK_NOT_FOUND", "");
  invalid(
      "packets without their headers", [](auto& r) { r.set_snap_length(75); }, "snap_length");
  invalid(
      "packets longer than there are", [](auto& r) { r.set_snap_length(UINT32_MAX); }, "snap_length");
  invalid(
      "no time", [](auto& r) { r.mutable_duration(); }, "duration");
  invalid(
      "a time before now", [](auto& r) { r.mutable_duration()->set_seconds(-1); }, "duration");
  invalid(
      "for ages", [](auto& r) { r.mutable_duration()->set_seconds(INT64_MAX); }, "duration");
  invalid(
      "no format", [](auto& r) { r.set_format(static_cast<v1::CaptureRequest::Format>(77)); }, "format");
  add(
      "payload that the configuration does not allow", [](auto& r) { r.set_payload(true); },
      grpc::StatusCode::PERMISSION_DENIED, "PAYLOAD_NOT_ALLOWED", "");
  return all;
}

}  // namespace kinsock::testing
