// SPDX-License-Identifier: GPL-3.0-or-later
// A SoapySDR device for tests, driver=amrqfile: receives the complex float samples of a file over and over, at the rate
// that is set, by the computer's clock. With clock=utc it tells the time. Where its reader is too slow it overflows, as a
// radio would: 0.5 s, or queue=S seconds; with overflow=N and lost=M also each time N samples were handed out, and M are
// lost then; with stops=N it falls silent once N samples were handed out, as one whose cable is pulled. It does 3 MS/s at
// most, or fastest=R.

#include <SoapySDR/Device.hpp>
#include <SoapySDR/Formats.h>
#include <SoapySDR/Registry.hpp>

#include <algorithm>
#include <chrono>
#include <complex>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kPieceSeconds = 0.01; // radios hand out their samples in pieces, not one by one

class FileRadio : public SoapySDR::Device
{
public:
    explicit FileRadio(const SoapySDR::Kwargs& arguments)
    {
        const auto path = arguments.find("path");
        const auto clock = arguments.find("clock");
        overflow_ = number(arguments, "overflow");
        lost_ = number(arguments, "lost");
        stops_ = number(arguments, "stops");
        if (arguments.count("queue"))
            queue_seconds_ = static_cast<double>(number(arguments, "queue"));
        if (arguments.count("fastest"))
            fastest_ = static_cast<double>(number(arguments, "fastest"));
        tells_time_ = clock != arguments.end() && clock->second == "utc";
        std::ifstream file(path == arguments.end() ? "" : path->second, std::ios::binary);
        const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
        samples_.resize(bytes.size() / sizeof(samples_[0]));
        if (samples_.empty())
            throw std::runtime_error("no samples");
        std::copy_n(bytes.data(), samples_.size() * sizeof(samples_[0]), reinterpret_cast<char*>(samples_.data()));
    }

    std::string getDriverKey() const override { return "amrqfile"; }
    std::string getHardwareKey() const override { return "amrqfile"; }
    size_t getNumChannels(int direction) const override { return direction == SOAPY_SDR_RX; }
    std::vector<std::string> listAntennas(int, size_t) const override { return {"RX", "LNA"}; }
    void setAntenna(int, size_t, const std::string& name) override { antenna_ = name; }
    std::string getAntenna(int, size_t) const override { return antenna_; }
    std::vector<std::string> listGains(int, size_t) const override { return {"LNA", "VGA"}; }
    bool hasGainMode(int, size_t) const override { return true; }
    void setGainMode(int, size_t, bool automatic) override { automatic_ = automatic; }
    bool getGainMode(int, size_t) const override { return automatic_; }
    void setGain(int, size_t, const std::string& name, double value) override { gains_[name] = value; }
    double getGain(int, size_t, const std::string& name) const override
    {
        const auto gain = gains_.find(name);
        return gain == gains_.end() ? 0 : gain->second;
    }
    SoapySDR::Range getGainRange(int, size_t, const std::string& name) const override
    {
        return {0, name == "LNA" ? 30.0 : 20.0};
    }
    std::vector<std::string> listFrequencies(int, size_t) const override { return {"RF"}; }
    void setFrequency(int, size_t, const std::string&, double value, const SoapySDR::Kwargs&) override
    {
        frequency_ = value;
    }
    double getFrequency(int, size_t, const std::string&) const override { return frequency_; }
    SoapySDR::RangeList getFrequencyRange(int, size_t, const std::string&) const override { return {{1e6, 2e9}}; }
    void setSampleRate(int, size_t, double value) override { rate_ = std::min(value, fastest_); }
    double getSampleRate(int, size_t) const override { return rate_; }
    SoapySDR::RangeList getSampleRateRange(int, size_t) const override { return {{1e4, fastest_}}; }
    bool hasHardwareTime(const std::string&) const override { return tells_time_; }
    long long getHardwareTime(const std::string&) const override
    {
        return begun_utc_ + static_cast<long long>(1e9 * static_cast<double>(sent_) / rate_);
    }
    std::vector<std::string> getStreamFormats(int, size_t) const override { return {SOAPY_SDR_CF32}; }
    std::string getNativeStreamFormat(int, size_t, double& scale) const override
    {
        scale = 1;
        return SOAPY_SDR_CF32;
    }
    SoapySDR::Stream*
    setupStream(int, const std::string&, const std::vector<size_t>&, const SoapySDR::Kwargs&) override
    {
        return reinterpret_cast<SoapySDR::Stream*>(this);
    }
    void closeStream(SoapySDR::Stream*) override {}
    size_t getStreamMTU(SoapySDR::Stream*) const override { return 8192; }
    int activateStream(SoapySDR::Stream*, int, long long, size_t) override
    {
        begun_ = Clock::now();
        begun_utc_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
        sent_ = handed_out_ = 0;
        return 0;
    }
    int deactivateStream(SoapySDR::Stream*, int, long long) override { return 0; }

    int readStream(SoapySDR::Stream*, void* const* buffers, size_t count, int& flags, long long& time, long timeout) override
    {
        if (overflow_ > 0 && handed_out_ == overflow_) {
            handed_out_ = 0;
            sent_ += lost_;
            return SOAPY_SDR_OVERFLOW;
        }
        if (stops_ > 0 && sent_ >= stops_) {
            std::this_thread::sleep_for(std::chrono::microseconds(timeout));
            return SOAPY_SDR_TIMEOUT;
        }
        const auto until = Clock::now() + std::chrono::microseconds(timeout);
        auto received = due();
        const auto wanted = std::min<long long>(static_cast<long long>(count), static_cast<long long>(kPieceSeconds * rate_) + 1);
        while (received - sent_ < wanted) {
            if (Clock::now() >= until)
                return SOAPY_SDR_TIMEOUT;
            const auto missing = std::chrono::duration<double>(static_cast<double>(sent_ + wanted - received) / rate_);
            const auto there = Clock::now() + std::chrono::duration_cast<Clock::duration>(missing);
            std::this_thread::sleep_until(std::min(there + std::chrono::microseconds(100), until));
            received = due();
        }
        if (received - sent_ > static_cast<long long>(queue_seconds_ * rate_)) {
            sent_ = received; // what was not fetched is gone
            return SOAPY_SDR_OVERFLOW;
        }
        auto given = std::min<long long>(static_cast<long long>(count), received - sent_);
        if (overflow_ > 0)
            given = std::min(given, overflow_ - handed_out_);
        auto* out = static_cast<std::complex<float>*>(buffers[0]);
        for (size_t done = 0; done < static_cast<size_t>(given);) {
            const size_t at = (static_cast<size_t>(sent_) + done) % samples_.size();
            const size_t some = std::min(samples_.size() - at, static_cast<size_t>(given) - done);
            std::copy_n(samples_.data() + at, some, out + done);
            done += some;
        }
        flags = tells_time_ ? SOAPY_SDR_HAS_TIME : 0;
        time = getHardwareTime("");
        sent_ += given;
        handed_out_ += given;
        return static_cast<int>(given);
    }

private:
    static long long number(const SoapySDR::Kwargs& arguments, const std::string& name)
    {
        const auto found = arguments.find(name);
        return found == arguments.end() ? 0 : std::stoll(found->second);
    }

    long long due() const
    {
        return static_cast<long long>(std::chrono::duration<double>(Clock::now() - begun_).count() * rate_);
    }

    std::vector<std::complex<float>> samples_;
    std::string antenna_ = "RX";
    bool automatic_ = false, tells_time_ = false;
    std::map<std::string, double> gains_;
    double frequency_ = 100e6, rate_ = 1e6;
    double fastest_ = 3e6;
    double queue_seconds_ = 0.5; // what the device holds for a reader that is late
    Clock::time_point begun_;
    long long begun_utc_ = 0, sent_ = 0, handed_out_ = 0, overflow_ = 0, lost_ = 0, stops_ = 0;
};

SoapySDR::KwargsList find(const SoapySDR::Kwargs& wanted)
{
    // Only who asks for it by name gets it, with what else was asked for.
    const auto driver = wanted.find("driver");
    if (driver == wanted.end() || driver->second != "amrqfile")
        return {};
    return {wanted};
}

SoapySDR::Device* make(const SoapySDR::Kwargs& arguments) { return new FileRadio(arguments); }

const SoapySDR::Registry registry("amrqfile", &find, &make, SOAPY_SDR_ABI_VERSION);

} // namespace
