// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DRIVER_CID_H_
#define KINSOCK_DEVICE_DRIVER_CID_H_

#include <cstdint>

#include "router/cid.h"

namespace kinsock {

// Under which CID a guest's driver goes, as far as can be told, while its VM may have been given another one.
//
// The driver reads the CID from the device's configuration (virtio 1.3, 5.10.4) when it is loaded, and anew when it is
// told of a TRANSPORT_RESET (5.10.6.7). What it finds there is what the front-end has read from us last: some ask each
// time, some keep a copy. So the driver knows the present CID
//  - if it was loaded, or told, when the front-end had that, or the front-end reads it after the driver was told; or
//  - if it sends a packet under it, which is proof.
// All but the last is a conclusion, and a packet under the former CID refutes it.
//
// Thread: the device's reactor. Arithmetic only.
class DriverCid {
 public:
  // `former`: under which the driver may have been left by an earlier back-end; 0: none.
  explicit DriverCid(Cid cid, Cid former = 0) : cid_(cid), former_(former) {}

  // The VM has another one.
  void OnChange(Cid cid) {
    if (runs_ && driver_ == 0) driver_ = cid_;
    // Where no driver is: one that was only away may come back under the oldest.
    if (driver_ != 0 || former_ == 0) former_ = driver_ != 0 ? driver_ : cid_;
    cid_ = cid;
    told_ = false;
  }

  // Another front-end, of which is not known what it has read.
  void OnSession() { read_ = 0; }
  // The front-end has read the present CID.
  void OnRead() {
    read_ = cid_;
    if (told_) driver_ = cid_;
  }

  // A driver begins.
  void OnDriver() {
    runs_ = true;
    driver_ = read_ != 0 || former_ != 0 ? read_ : cid_;
  }
  // It is gone.
  void OnDriverGone() {
    runs_ = told_ = false;
    driver_ = 0;
  }
  // It has a TRANSPORT_RESET, and will read its CID anew.
  void OnTold() {
    told_ = true;
    if (read_ == cid_) driver_ = cid_;
  }

  // Whether a packet under `source` comes from a driver that has not read its CID anew; only asked if `source` is not
  // the present CID.
  bool IsFormer(uint64_t source) const { return former_ != 0 && source == former_; }
  // It has sent a packet like that, or one under the present CID. True: the answer of driver() is another.
  bool OnFormer() {
    const bool other = driver_ != former_;
    driver_ = former_;
    return other;
  }
  bool OnPresent() {
    const bool other = driver_ != cid_;
    driver_ = cid_;
    former_ = 0;  // it never goes back
    return other;
  }

  // Whether packets have to be looked at: it may still go under a former CID.
  bool may_be_former() const { return former_ != 0; }
  // 0: there is no driver, or it cannot be told.
  Cid driver() const { return driver_; }

 private:
  Cid cid_;
  Cid former_;
  Cid read_ = 0;    // by the front-end, last; 0: not in this session
  Cid driver_ = 0;  // what is concluded
  bool runs_ = false;
  bool told_ = false;  // since the last change
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DRIVER_CID_H_
