# Runs the filters of a pipeline on records, as Logstash does, for the few plugins that ours has. The Ruby in it runs
# as it is, on the JRuby that Logstash ships. What is not known here is refused. An event that the filters cancel is null.
#   pipeline.rb PIPELINE.json < records.jsonl > events.jsonl
require "json"
require "java"

module LogStash
  class Timestamp
    WRITTEN = java.time.format.DateTimeFormatter::ISO_INSTANT

    def initialize(text)
      @instant = java.time.Instant.parse(text)
    end

    # At least milliseconds, in groups of three digits.
    def to_s
      return WRITTEN.format(@instant) unless @instant.nano.zero?
      WRITTEN.format(@instant).sub("Z", ".000Z")
    end

    def day(format)
      java.time.format.DateTimeFormatter.ofPattern(format).format(@instant.atOffset(java.time.ZoneOffset::UTC))
    end
  end
end

class Event
  attr_reader :fields, :cancelled

  def cancel = @cancelled = true

  def initialize(fields)
    @fields = {"@version" => "1", "@timestamp" => LogStash::Timestamp.new("2001-01-01T00:00:00Z")}.merge(fields)
  end

  def path(reference)
    return [reference] unless reference.start_with?("[")
    raise "no field reference: #{reference}" unless reference.match?(/\A(\[[^\[\]]+\])+\z/)
    reference.scan(/\[([^\[\]]+)\]/).flatten
  end

  def get(reference)
    path(reference).reduce(@fields) { |value, key| value.is_a?(Hash) ? value[key] : nil }
  end

  def set(reference, value)
    raise "brackets in #{reference}" if !reference.start_with?("[") && reference.match?(/[\[\]]/)
    *parents, last = path(reference)
    raise "@timestamp must be one" if [*parents, last] == ["@timestamp"] && !value.is_a?(LogStash::Timestamp)
    parents.reduce(@fields) { |inside, key| inside[key] ||= {} }[last] = value
  end

  def remove(reference)
    *parents, last = path(reference)
    inside = parents.reduce(@fields) { |value, key| value.is_a?(Hash) ? value[key] : nil }
    inside&.delete(last)
  end

  def sprintf(format)
    format.gsub(/%\{(\+)?([^}]+)\}/) do
      next get("@timestamp").day($2) if $1
      value = get($2)
      value.nil? ? $& : value.to_s
    end
  end
end

class RubyFilter
  def initialize(options)
    raise "unknown: #{options.keys}" unless (options.keys - ["init", "code"]).empty?
    eval(options["init"], binding, "init") if options["init"]
    @code = eval("lambda { |event| #{options["code"]} }", binding, "code")
  end

  def filter(event) = @code.call(event)
end

class DateFilter
  def initialize(options)
    raise "unknown: #{options}" unless options.keys == ["match"] && options["match"].last == "UNIX_MS"
    @source = options["match"].first
  end

  def filter(event)
    event.set("@timestamp", LogStash::Timestamp.new(java.time.Instant.ofEpochMilli(event.get(@source)).to_s))
  end
end

class MutateFilter
  def initialize(options)
    raise "unknown: #{options.keys}" unless (options.keys - ["replace", "add_field", "remove_field"]).empty?
    @options = options
  end

  def filter(event)
    (@options["replace"] || {}).each { |name, value| event.set(name, event.sprintf(value)) }
    (@options["add_field"] || {}).each { |name, value| event.set(name, event.sprintf(value)) }
    (@options["remove_field"] || []).each { |name| event.remove(name) }
  end
end

FILTERS = {"ruby" => RubyFilter, "date" => DateFilter, "mutate" => MutateFilter}

class Branches
  def initialize(branches)
    @branches = branches.map { |condition, parts| [condition, build(parts)] }
  end

  def filter(event)
    _, parts = @branches.find do |condition, _|
      condition.nil? || (!!event.get(condition["field"]) ^ condition["negated"])
    end
    parts&.each { |part| part.filter(event) }
  end
end

def build(parts)
  parts.map do |part|
    next Branches.new(part["branches"]) if part["branches"]
    FILTERS.fetch(part["plugin"]).new(part["options"])
  end
end

# What a kafka input and its plain codec make of a record: bytes, read in the codec's character set, then what the input
# adds, then Kafka's metadata; of the headers those whose value is UTF-8.
def arrived(record, input)
  raise "unknown: #{input["codec"]}" unless input["codec"]["plugin"] == "plain"
  bytes = (record["value"] || []).pack("C*")
  message = bytes.force_encoding(input["codec"]["options"]["charset"]).encode("UTF-8", invalid: :replace, undef: :replace)
  event = Event.new("message" => message, "@metadata" => {})
  (input["add_field"] || {}).each { |name, value| event.set(name, event.sprintf(value)) }
  decorated = input["decorate_events"]
  raise "unknown: #{decorated}" unless ["basic", "extended"].include?(decorated)
  record.slice("topic", "partition", "offset", "timestamp", "key").each do |name, value|
    event.set("[@metadata][kafka][#{name}]", value)
  end
  return event if decorated == "basic"
  record["headers"].each do |name, value|
    text = value&.pack("C*")&.force_encoding("UTF-8")
    event.set("[@metadata][kafka][headers][#{name}]", text) if text&.valid_encoding?
  end
  event
end

pipeline = JSON.parse(File.read(ARGV.fetch(0)), max_nesting: false)
filters = build(pipeline["filter"])
$stdout.set_encoding("UTF-8")
$stdin.each_line do |line|
  record = JSON.parse(line)
  event = arrived(record, pipeline["inputs"].fetch(record["input"]))
  filters.each { |filter| filter.filter(event) }
  next puts("null") if event.cancelled
  event.fields["@timestamp"] = event.fields["@timestamp"].to_s
  puts JSON.generate(event.fields, max_nesting: 0)
end
