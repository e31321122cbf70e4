-- Load for mnemo serve: posts the lines of a file to a route, COUNT a request, over and over.
-- wrk -t1 -c32 -d10s --latency -s scripts/post_lines.lua http://127.0.0.1:8080 -- FILE [COUNT] [ROUTE]
local bodies, at, route = {}, 0, "/v1/classify"

function init(args)
  local count, part = tonumber(args[2] or 1), {}
  for line in io.lines(args[1]) do
    part[#part + 1] = line
    if #part == count then
      bodies[#bodies + 1] = table.concat(part, "\n")
      part = {}
    end
  end
  route = args[3] or route
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "text/plain"
end

function request()
  at = at % #bodies + 1
  return wrk.format(nil, route, nil, bodies[at])
end
