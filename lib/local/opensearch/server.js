// Run by Rhino inside the server's own Java: arguments are the folder and the HTTP port. The runner by itself takes no
// port above 9299 and would share its transport port with the next one.
const folder = arguments[0]
const port = Number(arguments[1])
const Runner = Packages.org.codelibs.opensearch.runner.OpenSearchRunner
const runner = new Runner()
const highest = runner.getClass().getDeclaredField('maxHttpPort')
highest.setAccessible(true)
highest.setInt(runner, -1)
runner.onBuild(function (number, settings) {
  settings.put('http.port', String(port))
  settings.put('network.host', '127.0.0.1')
  settings.put('transport.port', '0')
  settings.put('discovery.type', 'single-node')
  // A developer's disk is often nearly full: that must not make the index read-only.
  settings.put('cluster.routing.allocation.disk.threshold_enabled', 'false')
})
const hook = new java.lang.Thread(function () {
  runner.close()
})
java.lang.Runtime.getRuntime().addShutdownHook(hook)
runner.build(
  Runner.newConfigs()
    .basePath(folder)
    .numOfNode(1)
    .clusterName('factory')
    .baseHttpPort(port - 1),
)
while (!runner.isClosed()) java.lang.Thread.sleep(1000)
